"""Yes and no."""

from .forms import listed, meant, rolled

TRUE = listed("""
    yes | yes | yes | y | y | true | true | true | t | 1 | on
    yep | yeah | yup | yea | sure | ok | okay | correct | right | affirmative | absolutely | certainly | definitely
    indeed | aye | enabled | active | checked | x | accepted | approved | confirmed | agreed | positive
    ja | jawohl | oui | sí | si | sì | vrai | verdadero | wahr | vero | ✓ | ✔ | ☑ | ✅
    yess | yessir | .t. | [x] | (x) | yse | yeas | roger | always
    ticked | selected | activated | valid | allowed | granted
    of course | for sure | you bet | oh yes | yes please | absolutely yes | that's right | yes of course | hell yes
""")
FALSE = listed("""
    no | no | no | n | n | false | false | false | f | 0 | off
    nope | nah | never | wrong | incorrect | negative | disabled | inactive | unchecked
    rejected | denied | declined | disapproved
    nein | non | falsch | faux | falso | ✗ | ✘ | ❌ | ☐
    nay | .f. | [] | unticked | unselected | deactivated | invalid | forbidden | refused | nö | nee
    no way | not at all | of course not | certainly not | absolutely not | hell no | no thanks
    [ ] | oh no | definitely not | no never
""")
TURNED = meant("""
    false = true | correct | right | active | enabled
    true = false | wrong
    false = checked | ok | okay | approved | allowed | valid | confirmed | accepted | selected
    true = disabled | inactive
""")
UNKNOWN = listed("""
    maybe | perhaps | possibly | probably | yes and no | yes/no | y/n | yes or no | no idea | i guess | i think so
    i don't know | dunno | don't know | not sure | unsure | depends | it depends | sometimes | partly | partially | half
    2 | 3 | -1 | 10 | 42 | 0.5 | 1.5 | 100 | 11
    both | neither | mixed | unclear | undecided | open | vielleicht | peut-être | quizás | forse
    later | some | other | either | hmm | ask me later | true/false | t/f | pending | in progress | y n
    kind of | sort of | not yet decided | might be | could be | i suppose | probably not | maybe yes | maybe no
    jein | so so | idk | 12 | 7 | more or less | not sure yet | i hope so | rarely | often | whatever
""")
LABELS = listed("""
    active | answer | paid | agreed | valid | is member | subscribed | newsletter | member | opt in | opted in | done
""")
HESITATING = frozenset(listed("maybe | perhaps | vielleicht | neither | either"))
KNOWN = HESITATING | {word for word in TRUE + FALSE if word.isalpha()}


def true(rng) -> tuple[str, str]:
    """Yes, in any of its words and marks."""
    return rng.choice(TRUE), "true"


def false(rng) -> tuple[str, str]:
    """No, in any of its words and marks."""
    return rng.choice(FALSE), "false"


def turned(rng) -> tuple[str, str]:
    """`not true`: "not" turns it round."""
    word, answer = rng.choice(TURNED)
    return f"{rng.choice(('not', 'not', 'is not'))} {word}", answer


def none(rng) -> tuple[str, str]:
    """What hesitates, and other numbers than 1 and 0."""
    return rng.choice(UNKNOWN), "unknown"


def generate(rng) -> tuple[str, str]:
    """One value that was meant as a boolean."""
    return rolled(rng, (0.12, none), (0.20, turned), (0.60, true), (1, false))(rng)
