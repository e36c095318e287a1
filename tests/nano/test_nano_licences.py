"""What may be trained on: licence expressions, metadata, Debian's copyright files, headers."""

from __future__ import annotations

import email

import pytest
from curation import licences


@pytest.mark.parametrize(
    "declared",
    ["MIT", "Apache-2.0", "BSD-3-Clause AND MIT", "GPL-2.0-only OR MIT", "MIT/Apache-2.0", "Expat"],
)
def test_permissive(declared: str) -> None:
    assert licences.permissive(declared)


@pytest.mark.parametrize(
    "declared",
    [
        "",
        "GPL-3.0-or-later",
        "LGPL-2.1-only",
        "MPL-2.0",
        "EPL-2.0",
        "MIT AND GPL-2.0-only",
        "(MIT OR GPL-2.0-only) AND LGPL-2.1-only",
        "LicenseRef-NVIDIA-Proprietary",
        "CC-BY-4.0",
        "any-OSI",
    ],
)
def test_not_permissive(declared: str) -> None:
    assert not licences.permissive(declared)


def of_metadata(*lines: str) -> str | None:
    return licences.of_wheel(email.message_from_string("\n".join(("Name: x", *lines)) + "\n"))


def test_a_wheel_without_a_licence_is_left_out() -> None:
    assert of_metadata() is None
    assert of_metadata("License: UNKNOWN") is None


def test_the_expression_decides_before_the_classifier() -> None:
    mit = "Classifier: License :: OSI Approved :: MIT License"
    assert of_metadata("License-Expression: GPL-3.0-only", mit) is None
    assert of_metadata("License: UNKNOWN", mit) == "MIT License"


def test_one_restricted_classifier_is_enough_to_leave_it_out() -> None:
    both = (
        "Classifier: License :: OSI Approved :: BSD License",
        "Classifier: License :: OSI Approved :: GNU General Public License (GPL)",
    )
    assert of_metadata(*both) is None


DEBIAN = """Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/

Files: *
Copyright: somebody
License: Apache-2.0

Files: src/old/* tools/one.c
Copyright: somebody else
License: GPL-2+
 The text of it.

Files: src/old/both.c
License: GPL-2+ or BSD-3-clause
"""


def test_debian_says_it_for_each_file() -> None:
    copyright = licences.of_debian(DEBIAN)
    assert copyright is not None
    assert copyright.main == "Apache-2.0"
    assert copyright.allows("src/new.c")
    assert not copyright.allows("src/old/deep/file.c")
    assert not copyright.allows("tools/one.c")
    assert copyright.allows("src/old/both.c")


def test_debian_copyright_in_prose_is_not_believed() -> None:
    assert licences.of_debian("This package is under the MIT licence.") is None


@pytest.mark.parametrize(
    "header",
    [
        "# This file is distributed under the GNU Lesser General Public License.",
        "// SPDX-License-Identifier: GPL-2.0",
        "/* This Source Code Form is subject to the terms of the Mozilla Public License */",
        "# Licensed under GPLv3",
        "// Eclipse Public License v2.0",
    ],
)
def test_a_header_under_another_licence(header: str) -> None:
    assert licences.restricted_header(header + "\nint x;\n")


def test_an_apache_header_is_none() -> None:
    assert not licences.restricted_header("# Licensed under the Apache License, Version 2.0\n")
