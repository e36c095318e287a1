"""Vectors beside the words: which texts lack one, what is nearest, and both rankings as one."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from pathlib import Path

import pytest

from codegeex_lsp.index import fusion, vectors
from codegeex_lsp.index.files import Bounds
from codegeex_lsp.index.places import Place
from codegeex_lsp.index.store import Store
from codegeex_lsp.index.workspace import Workspace

MODEL = "letters"


def never() -> bool:
    return False


def letters(text: str) -> list[float]:
    """Texts with the same letters are near each other; about zero, as a trained encoder's are."""
    counts = [text.count(chr(code)) - len(text) / 26 for code in range(ord("a"), ord("z") + 1)]
    length = math.hypot(*counts) or 1.0
    return [count / length for count in counts]


def completed(one: Workspace, model: str = MODEL) -> list[str]:
    """Give every place its vector; answers the texts that lacked one."""
    made: list[str] = []
    while texts := one.lacking(model, 2):
        one.embedded(model, [(key, letters(text)) for key, text in texts])
        made += [text for _, text in texts]
    return made


def found(one: Workspace, question: str, vector: Sequence[float], under: str = "") -> list[str]:
    places, by_vector = one.search_by_both(question, MODEL, vector, 10, under, never)
    assert by_vector
    return [Path(place.path).name for place in places]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    (folder / "sub").mkdir(parents=True)
    (folder / "one.py").write_text("def aaa():\n    pass\n\n\ndef bbb():\n    return bb\n")
    (folder / "two.py").write_text("def zzz():\n    return zz\n")
    (folder / "sub" / "three.py").write_text("def qqq():\n    return qq\n")
    return folder


@pytest.fixture
def one(root: Path) -> Workspace:
    made = Workspace(Store(root.parent / "index.db"), [str(root)], Bounds())
    assert made.walk()
    return made


def test_each_text_gets_one_vector(one: Workspace) -> None:
    assert len(completed(one)) == 4
    assert completed(one) == []


def test_a_vector_finds_what_no_word_does(one: Workspace) -> None:
    completed(one)
    assert one.search("nothing of it", 10, "", never) == []
    assert found(one, "nothing of it", letters("zz return"))[0] == "two.py"


def test_words_and_vector_agree_or_share(one: Workspace) -> None:
    completed(one)
    assert found(one, "zzz", letters("qq return"))[:2] == ["two.py", "three.py"]


def test_a_folder_limits_both(one: Workspace, root: Path) -> None:
    completed(one)
    assert found(one, "zzz", letters("zz return"), str(root / "sub")) == ["three.py"]


def test_an_edit_costs_what_is_new_in_it(one: Workspace, root: Path) -> None:
    completed(one)
    one.opened(str(root / "one.py"), "def aaa():\n    pass\n\n\ndef ccc():\n    return cc\n")
    assert completed(one) == ["def ccc():\n    return cc"]
    assert found(one, "?", letters("ccc return cc"))[0] == "one.py"


def test_a_moved_file_costs_nothing(one: Workspace, root: Path) -> None:
    completed(one)
    (root / "two.py").rename(root / "sub" / "moved.py")
    assert one.walk()
    assert completed(one) == []
    assert found(one, "?", letters("zz return"))[0] == "moved.py"


def test_what_is_gone_is_not_found_and_forgotten(one: Workspace, root: Path) -> None:
    completed(one)
    (root / "two.py").unlink()
    one.changed([str(root / "two.py")])
    assert "two.py" not in found(one, "?", letters("zz return"))
    assert one.walk()
    (root / "two.py").write_text("def zzz():\n    return zz\n")
    one.changed([str(root / "two.py")])
    assert completed(one) == ["def zzz():\n    return zz"]


def test_another_models_vectors_never_count(one: Workspace) -> None:
    completed(one)
    places, by_vector = one.search_by_both("zzz", "another", letters("qqq"), 10, "", never)
    assert (places, by_vector) == (one.search("zzz", 10, "", never), False)
    assert len(one.lacking("another", 10)) == 4, "they are made anew"
    one.embedded(MODEL, [(vectors.key("x"), letters("x"))])
    assert len(one.lacking("another", 10)) == 4, "an answer that comes late is not taken"


def test_they_outlive_the_process(one: Workspace, root: Path) -> None:
    completed(one)
    again = Workspace(Store(root.parent / "index.db"), [str(root)], Bounds())
    assert again.walk()
    assert again.lacking(MODEL, 10) == []
    assert found(again, "?", letters("zz return"))[0] == "two.py"


def test_there_are_no_more_than_fit(one: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vectors, "MOST_BYTES", 2 * (16 + 4 + 52))
    assert len(completed(one)) == 2
    assert found(one, "?", letters("zz return")), "those that are there are used"


def test_the_signs_find_nearly_all_that_the_vectors_do() -> None:
    """Of 5,000 vectors in 50 crowds; a search compares 1,000 by their numbers."""
    chosen = random.Random(1)
    centres = [[chosen.gauss(0, 1) for _ in range(64)] for _ in range(50)]

    def near(centre: list[float]) -> list[float]:
        noisy = [one + chosen.gauss(0, 0.7) for one in centre]
        length = math.hypot(*noisy)
        return [one / length for one in noisy]

    store = Store(":memory:")
    store.vectors.lacking(MODEL, 1)
    made = {vectors.key(str(n)): near(centres[n % 50]) for n in range(5000)}
    store.vectors.put(MODEL, made.items())
    right = 0
    for centre in centres:
        question = near(centre)
        by_number = sorted(
            made, key=lambda key: -math.fsum(map(float.__mul__, question, made[key]))
        )
        right += len(set(by_number[:10]) & set(store.vectors.nearest(MODEL, question, 10)))
    assert right >= 480, "of 500"


def test_fusion_ranks_by_ranks() -> None:
    a, b, c, d = (Place(name, 0, 1, name, name, 0.0) for name in "abcd")
    both = fusion.fused(([a, b, c], [c, b, d]), 10)
    assert [place.path for place in both] == ["c", "b", "a", "d"]
    assert fusion.fused(([a], [a]), 1)[0].score == pytest.approx(1.0)
    assert fusion.fused(([a], []), 1)[0].score == pytest.approx(0.5)
    assert [place.path for place in fusion.fused(([a, b], [b, a]), 1)] == ["a"]
