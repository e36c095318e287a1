"""One file that somebody else wrote: what is read, and in which encoding."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from codegeex_lsp.files import reading
from codegeex_lsp.files.reading import Unread, UnreadError

MOST = 1000


def unread(path: Path, *, links: bool) -> Unread:
    with pytest.raises(UnreadError) as error:
        reading.text(path, MOST, links=links)
    return error.value.why


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"", ""),
        (b"a\r\nb\rc\n", "a\r\nb\rc\n"),
        ("ä = 1\n".encode(), "ä = 1\n"),
        (b"\xef\xbb\xbfx = 1\n", "x = 1\n"),
        ("x = 'ä'\n".encode("utf-16"), "x = 'ä'\n"),
        ("\ufeffx = 'ä'\n".encode("utf-16-be"), "x = 'ä'\n"),
        ("x = 'ä'\n".encode("utf-32"), "x = 'ä'\n"),
    ],
)
def test_a_mark_at_the_beginning_is_no_text(tmp_path: Path, data: bytes, text: str) -> None:
    (tmp_path / "a").write_bytes(data)
    assert reading.text(tmp_path / "a", MOST, links=False) == text


@pytest.mark.parametrize(
    ("encoding", "words"),
    [
        ("gbk", "产品名称"),
        ("gb18030", "用户登录失败，请重试"),
        ("big5", "產品名稱"),
        ("shift_jis", "エラーが発生しました"),
        ("euc_jp", "こんにちは世界"),
        ("euc_kr", "제품 이름"),
        ("koi8_r", "Название продукта"),
        ("cp1251", "Файл не найден"),
        ("cp1250", "Zażółć gęślą jaźń"),
        ("cp1252", "Größe überschritten"),
        ("latin_1", "© Müller"),
    ],
)
def test_a_few_words_in_an_older_encoding(tmp_path: Path, encoding: str, words: str) -> None:
    text = f'import os\n\n\ndef show(value):\n    title = "{words}"\n    return value\n'
    (tmp_path / "a").write_bytes(text.encode(encoding))
    assert reading.text(tmp_path / "a", MOST, links=False) == text


def test_a_file_may_name_its_encoding(tmp_path: Path) -> None:
    text = "#!/usr/bin/python\n# -*- coding: gbk -*-\nx = '错误'\n"
    (tmp_path / "a").write_bytes(text.encode("gbk"))
    assert reading.text(tmp_path / "a", MOST, links=False) == text


@pytest.mark.parametrize("named", ["punycode", "zip", "unicode_escape", "nothing"])
def test_what_it_names_is_one_for_files(tmp_path: Path, named: str) -> None:
    (tmp_path / "a").write_bytes(f"# coding: {named}\n© Müller\n".encode("latin_1"))
    assert reading.text(tmp_path / "a", MOST, links=False).endswith("© Müller\n")


@pytest.mark.parametrize(
    "data",
    [
        b"x = 1\0\n",
        b"\xff\xfex",  # half a character
        b"\xff\xfe\0\0x\0\0",
        b"\xfe\xff\0\0\0a",
        bytes(range(1, 256)),
        'x = "错误"\n'.encode("gbk"),  # as likely to be other words in another encoding
    ],
)
def test_what_has_no_certain_text_has_none(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "a").write_bytes(data)
    assert unread(tmp_path / "a", links=False) is Unread.NO_TEXT


def test_no_more_than_the_bound_is_read(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"x" * MOST)
    assert len(reading.data(tmp_path / "a", MOST, links=False)) == MOST
    (tmp_path / "a").write_bytes(b"x" * (MOST + 1))
    assert unread(tmp_path / "a", links=False) is Unread.LARGE
    os.truncate(tmp_path / "a", 1 << 40)
    assert unread(tmp_path / "a", links=True) is Unread.LARGE


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="no /proc here")
def test_a_file_that_says_it_is_empty_is_bounded_too() -> None:
    assert unread(Path("/proc/self/maps"), links=False) is Unread.LARGE


def a_socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as end:
        end.bind(os.path.relpath(path))


@pytest.mark.parametrize("links", [True, False])
@pytest.mark.parametrize(
    ("make", "why"),
    [
        (lambda path: path.mkdir(), Unread.NO_FILE),
        (os.mkfifo, Unread.NO_FILE),
        (a_socket, Unread.NO_FILE),
        (lambda path: path.symlink_to("/dev/zero"), Unread.NO_FILE),
        (lambda path: path.symlink_to("."), Unread.NO_FILE),
        (lambda path: None, Unread.MISSING),
    ],
)
def test_only_regular_files_are_opened(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    make: Callable[[Path], None],
    why: Unread,
    links: bool,
) -> None:
    monkeypatch.chdir(tmp_path)
    make(tmp_path / "a")
    assert unread(tmp_path / "a", links=links) is why


def test_a_link_is_followed_where_it_may_be(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("x = 1\n")
    (tmp_path / "link").symlink_to("a")
    assert reading.text(tmp_path / "link", MOST, links=True) == "x = 1\n"
    assert unread(tmp_path / "link", links=False) is Unread.NO_FILE


def test_links_that_lead_nowhere(tmp_path: Path) -> None:
    (tmp_path / "gone").symlink_to("nothing")
    (tmp_path / "loop").symlink_to("loop")
    assert unread(tmp_path / "gone", links=True) is Unread.MISSING
    assert unread(tmp_path / "loop", links=True) is Unread.REFUSED
    assert unread(tmp_path / "a\0b", links=True) is Unread.MISSING
