"""One candidate of the model while it grows: from tokens to text to a finished candidate.

It puts the tokenizer's stream and the stop rules together and knows no network. generation.py
pushes the tokens.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Container

from model_runtime.decoding.stopping import Finish, StoppingText, StopRules
from model_runtime.text.tokenizer import TextStream
from model_runtime.wire.protocol import Candidate

# A weak model that begins to repeat itself never stops by itself. Tables of zeros repeat too, so a
# loop must come often and be long before it counts.
LOOP_TURNS = 5
LOOP_TOKENS = 12
LONGEST_TURN = 8


class Continuation:
    """`ends` are the tokens that end the text, `show` gets its pieces as they become certain.

    The text begins with `lead`, which the model doesn't write; `ids` are the model's tokens so far.
    """

    def __init__(
        self,
        characters: TextStream,
        ends: Container[int],
        rules: StopRules,
        show: Callable[[str], None],
        lead: str = "",
    ) -> None:
        self._characters = characters
        self._ends = ends
        self._show = show
        self._lead = lead
        self._stopping = StoppingText(rules)
        self.ids: list[int] = []
        self._logprobs: list[float] = []
        show(lead)

    @property
    def finished(self) -> bool:
        return self._stopping.finish is not None

    @property
    def mean_logprob(self) -> float:
        return sum(self._logprobs) / max(1, len(self._logprobs))

    def fork(self) -> Continuation:
        """Another that has grown the same way and goes on by itself."""
        twin = copy.copy(self)
        twin._characters = self._characters.fork()
        twin._stopping = copy.copy(self._stopping)
        twin.ids, twin._logprobs = list(self.ids), list(self._logprobs)
        return twin

    def push(self, token: int, logprob: float) -> None:
        """Grow by one token; a character that it leaves incomplete waits for the next."""
        if token in self._ends:
            self.end(Finish.END)
            return
        self.ids.append(token)
        self._logprobs.append(logprob)
        self._show(self._stopping.push(self._characters.push(token)))
        if turns_in_circles(self.ids):
            self.end(Finish.LOOP)

    def end(self, finish: Finish) -> None:
        """Finish it from outside, unless it is finished."""
        if not self.finished:
            self._show(self._stopping.end(finish))

    def candidate(self) -> Candidate:
        """The log-probabilities leave out the token that ended the text."""
        text = self._stopping
        return Candidate(
            text=self._lead + text.text,
            source="model",
            finish=str(text.finish),
            tokens=text.tokens,
            mean_logprob=self.mean_logprob,
            min_logprob=min(self._logprobs, default=0.0),
        )


def turns_in_circles(tokens: list[int]) -> bool:
    """Whether the last tokens are one short run of tokens over and over."""
    for period in range(1, LONGEST_TURN + 1):
        turns = max(LOOP_TURNS, -(-LOOP_TOKENS // period))
        if len(tokens) >= turns * period and (
            tokens[-turns * period :] == tokens[-period:] * turns
        ):
            return True
    return False
