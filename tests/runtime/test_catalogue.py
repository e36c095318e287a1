"""The catalogue is complete, and its entries say what they must."""

from __future__ import annotations

import re

import pytest
from tokenizers import Tokenizer as TokenizerFile

from model_runtime.errors import UnknownModelError
from model_runtime.folders.native import read_description
from model_runtime.hub import catalogue
from model_runtime.hub.catalogue import Ability, Model
from model_runtime.options import EMBEDDED_FOLDER
from model_runtime.prompts import fim
from model_runtime.prompts.rendering import PromptFormat

MODELS = list(catalogue.models().values())
FORMATS = {*fim.FORMATS, *PromptFormat, "plain", "text", "t5-span"}


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.name)
class TestEveryModel:
    def test_can_do_something_and_has_a_format_for_it(self, model: Model) -> None:
        assert model.abilities
        assert model.format in FORMATS
        fills = model.format in {*fim.FORMATS, PromptFormat.NANO_FIM, "t5-span"}
        assert (Ability.INFILL in model.abilities) == fills

    def test_has_context_size_and_licence(self, model: Model) -> None:
        assert model.context >= 512
        assert model.parameters > 0
        assert model.licence

    def test_knows_where_it_ends(self, model: Model) -> None:
        assert model.stops or model.stop_ids or model.abilities == {Ability.EMBED}

    def test_is_pinned_to_a_commit_or_plainly_not(self, model: Model) -> None:
        assert re.fullmatch("([0-9a-f]{40})?", model.revision)
        assert model.hub or not model.revision

    def test_is_named_in_lower_case_once(self, model: Model) -> None:
        assert re.fullmatch(r"[a-z0-9][a-z0-9.-]+", model.name)
        assert [other.name for other in MODELS].count(model.name) == 1


def test_only_the_models_of_the_project_can_not_be_fetched() -> None:
    unfetched = [model.name for model in MODELS if not model.hub and not model.package]
    assert unfetched == ["codegeex-nano", "codegeex-13b"]


def test_the_embedded_model_is_what_its_folder_says() -> None:
    model = catalogue.find("codegeex-nano")
    description = read_description(EMBEDDED_FOLDER)
    assert model.embedded
    assert model.context == description.config.max_position_embeddings
    assert model.format == description.format
    vocabulary = TokenizerFile.from_file(str(EMBEDDED_FOLDER / "tokenizer.json")).get_vocab()
    assert set(model.stops) <= vocabulary.keys()


def test_a_chat_model_can_explain_and_no_other_can() -> None:
    assert {model.name for model in MODELS if model.chat} == {
        model.name for model in catalogue.able(Ability.EXPLAIN)
    }


def test_a_licence_that_restricts_use_has_a_note() -> None:
    free = {"Apache-2.0", "MIT", "BSD-3-Clause"}
    assert all(model.note for model in MODELS if model.licence not in free)


def test_sizes_follow_the_precision() -> None:
    sizes = catalogue.find("codegen-2b-mono").sizes
    assert sizes == {"float16": 5_560_000_000, "int8": 2_780_000_000, "int4": 1_563_750_000}


def test_the_smallest_able_model_comes_first() -> None:
    able = catalogue.able(Ability.EXPLAIN)
    assert able[0].name == "smollm2-135m-instruct"
    assert [model.parameters for model in able] == sorted(model.parameters for model in able)


def test_a_name_is_found_in_any_case() -> None:
    assert catalogue.find("Qwen2.5-Coder-1.5B").hub == "Qwen/Qwen2.5-Coder-1.5B"


def test_an_unknown_name_gets_the_nearest() -> None:
    with pytest.raises(UnknownModelError, match=r"did you mean qwen2.5-coder-7b or .*\?$"):
        catalogue.find("qwen-coder-7b")


def test_a_name_like_no_other_gets_the_list() -> None:
    with pytest.raises(UnknownModelError, match="see codegeex-lsp models list"):
        catalogue.find("zzzzzz")
