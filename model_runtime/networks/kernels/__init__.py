"""The product with a quantized matrix, one file a family of devices.

A kernel takes x [M, in] and bias [out] and gives x @ dequantized.T + bias as [M, out], in the type
of x. It is used when its trial on a small matrix gave the right numbers (trial.py); where there is
none the layer dequantizes before every product, which is always right.
"""

__all__ = ["choice", "dequantizing"]
