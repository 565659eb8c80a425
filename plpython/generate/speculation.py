"""Which guesser guesses before a pass, and how many tokens: as measured, for the text does not depend on it.

The model verifies n guesses in a pass over 1 + n tokens. With the probability a that a guess is right, and none counts
after a wrong one, that writes 1 + a + a^2 + ... + a^n tokens on average, in the time of a pass over one token, and for
each guess the time to make it and the time by which it lengthens the pass. `Pace` measures all of these, chooses the n
that writes the most tokens a second, and rests where no n beats what can be had without its guesser.
"""

import time

PLAIN = 2  # tokens that are written without guesses first, to know what they take
FADE = 0.95  # what a measurement counts after each later one
LIKELY = 0.8  # that a guess is right, before anything is known
RESTS = 16, 512  # tokens that a guesser rests at first, and at most; each rest in vain doubles it
FADE_AT_REST = 0.25  # what everything measured before a rest counts after it
PATIENCE = 2  # tokens without guesses whose time one that tries may lose by waiting for something to guess from
FIRST = 2  # most tokens of the first guess, and of the first after a rest; then up to twice as many as the last time
LEAST_SECONDS = 1e-9  # where the clock stands still


class Mean:
    """The mean of what was measured lately."""

    def __init__(self, value=0.0, count=0.0):
        self._sum, self._count = value * count, count

    @property
    def value(self):
        """0 before anything is known."""
        return self._sum / self._count if self._count else 0.0

    def add(self, total, count):
        """Count so many measurements with this sum."""
        self.fade(FADE**count)
        self._sum, self._count = self._sum + total, self._count + count

    def charge(self, total):
        """Let what was measured have taken so much more."""
        self._sum += total

    def fade(self, factor):
        """Let all that was measured count less."""
        self._sum, self._count = self._sum * factor, self._count * factor


class Always:
    """The pace of a guesser that guesses at most `most` tokens wherever it can."""

    rest, tries = 0, False

    def __init__(self, most):
        self._most = most

    def speed(self, plain):
        """As Pace.speed."""
        return 0.0

    def count(self, plain, rival):
        """As Pace.count."""
        return self._most

    def learn(self, guessed, accepted, seconds, more):
        """As Pace.learn."""

    def pass_by(self, tokens, lost, plain):
        """As Pace.pass_by."""


class Pace:
    """How many tokens a guesser guesses, at most `most`.

    rest: for how many tokens it will not guess. tries: whether it guesses only to learn what that brings.
    """

    def __init__(self, most):
        self._most, self._last = most, 0
        self._right = Mean(LIKELY, 1 / LIKELY)
        self._seconds, self._more = Mean(), Mean()  # of a guess, and by which a guess lengthens the pass
        self.rest, self.tries = PLAIN, True
        self._next_rest, self._waited = RESTS[0], 0.0

    def count(self, plain, rival):
        """How many tokens to guess. plain: seconds of a token without guesses. rival: tokens a second that can be had
        without this guesser."""
        if self.rest:
            return 0
        speed, n = self._best(plain)
        if self.tries:
            return n
        if speed < rival:
            self._begin_rest()
            return 0
        self._next_rest = RESTS[0]
        return n

    def speed(self, plain):
        """Tokens a second that the model writes with its guesses, 0 while it rests or tries."""
        return 0.0 if self.rest or self.tries else self._best(plain)[0]

    def learn(self, guessed, accepted, seconds, more):
        """So many tokens were guessed in so many seconds, and some accepted; they lengthened the pass by `more`.

        None guessed is as bad as one that is wrong.
        """
        self._right.add(accepted, accepted + (accepted < guessed or not guessed))
        self._seconds.add(seconds, max(guessed, 1))
        if guessed:
            self._more.add(max(more, 0.0), guessed)
        self._last, self.tries = guessed, False

    def pass_by(self, tokens, lost, plain):
        """So many tokens were written, with guesses or without. lost: the seconds by which that took longer because
        somebody might have guessed and did not. plain: as in `count`."""
        if self.rest:
            self.rest = max(0, self.rest - tokens)
            if not self.rest and not self.tries:
                self._try_again()
        elif lost:
            self._seconds.charge(lost)
            self._waited += lost
            if self.tries and self._waited >= PATIENCE * plain:
                self._begin_rest()

    def _best(self, plain):
        """(tokens a second, n) of the number of guesses that writes most."""
        most = min(self._most, max(FIRST, 2 * self._last))
        return max((self._speed(n, plain), n) for n in range(1, most + 1))

    def _speed(self, n, plain):
        """Tokens a second with n guesses."""
        written = sum(self._right.value**i for i in range(n + 1))
        return written / max(plain + n * (self._seconds.value + self._more.value), LEAST_SECONDS)

    def _begin_rest(self):
        self.rest, self.tries = self._next_rest, False
        self._next_rest = min(2 * self.rest, RESTS[1])

    def _try_again(self):
        self.tries, self._last, self._waited = True, 0, 0.0
        for mean in (self._right, self._seconds, self._more):
            mean.fade(FADE_AT_REST)


class Speculation:
    """Guesses for one text. guessers: (Guesser, its pace), in the order in which they are asked; those that try come
    first. One with a Pace rests unless it beats those behind it, and writing without guesses. plain: the Mean of the
    seconds of a token without guesses. Paces and this may be those of an earlier text. clock: seconds."""

    def __init__(self, guessers=(), plain=None, clock=time.perf_counter):
        self._guessers, self.clock = guessers, clock
        self._plain = Mean() if plain is None else plain
        self._used = None  # (pace, seconds) of the guesser that was asked before this pass

    @property
    def rest(self):
        """For how many tokens nobody will guess; None: for ever."""
        return min((pace.rest for _, pace in self._guessers), default=None)

    def guess(self, history, remaining):
        """The tokens to verify in the next pass, perhaps none. remaining: how many may follow after one more."""
        self._used = None
        places = range(len(self._guessers))
        for place in sorted(places, key=lambda place: not self._guessers[place][1].tries):
            guesser, pace = self._guessers[place]
            most = min(pace.count(self._plain.value, self._rival(place)), remaining)
            if most > 0 and guesser.prepare(history, remaining):
                began = self.clock()
                guessed = guesser.guess(history, most)
                self._used = pace, self.clock() - began
                return guessed
        return []

    def learn(self, guessed, written, seconds, is_plain=True):
        """Of so many guesses all but the last of the tokens `written` came; without guesses the model wrote those by
        itself. seconds: how long it computed. is_plain: whether it would also have done so if nobody guessed."""
        plain = self._plain.value
        if self._used is not None:
            pace, spent = self._used
            pace.learn(guessed, written - 1, spent, seconds - plain)
        if not guessed and is_plain:
            self._plain.add(seconds, written)
        lost = 0.0 if guessed or is_plain else max(0.0, seconds - plain * written)
        for _, pace in self._guessers:
            pace.pass_by(written, lost, plain)

    def _rival(self, place):
        """Tokens a second that can be had without the guesser at a place and those before it."""
        plain = self._plain.value
        behind = [pace.speed(plain) for _, pace in self._guessers[place + 1 :]]
        return max([*behind, 1 / max(plain, LEAST_SECONDS)])


def by_lookup(lookup, most):
    """The Speculation of prompt lookup alone."""
    return Speculation([(lookup, Always(most))])
