#include <cassert>
#include <iostream>
#include <vector>

#ifdef USE_DOUBLE
using Real = double;
#else
using Real = float;
#endif

namespace linear {

template <typename T>
class Matrix {
public:
    Matrix(int rows, int columns) : rows_(rows), columns_(columns), cells_(rows * columns) {}

    T& at(int row, int column) {
        assert(row < rows_ && column < columns_);
        return cells_[row * columns_ + column];
    }

    Matrix transposed() const {
        Matrix result(columns_, rows_);
        for (int i = 0; i < rows_; ++i) {
            for (int j = 0; j < columns_; ++j) {
                result.cells_[j * rows_ + i] = cells_[i * columns_ + j];
            }
        }
        return result;
    }

private:
    int rows_;
    int columns_;
    std::vector<T> cells_;
};

}  // namespace linear

static const unsigned char table[] = {
    0x00, 0x01, 0x02, 0x03,
    0x10, 0x11, 0x12, 0x13,
};

int main(int argc, char** argv) {
    linear::Matrix<Real> m(2, 3);
#if defined(VERBOSE)
    std::cout << "rows: " << 2 << ", columns: " << 3 << std::endl;
#endif
    if (argc > 1) {
        m.at(0, 0) = static_cast<Real>(argv[1][0]);
    }
    return m.transposed().at(0, 0) == 0 ? 0 : 1;
}
