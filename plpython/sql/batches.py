"""Generation for many rows at once: from an array of prompts, from a query, into a table.

Each row's text is a sequence of `generate/scheduler`; rows come back as they finish. Row n, counted from 0, is what
llm.generate gives for its prompt with the seed `seed` + n, so that equal prompts differ when tokens are drawn. A prompt
that is NULL or too long is the error of its row, and the other rows go on; a wrong argument ends the call.
"""

import time

from ..generate.scheduler import Scheduler
from ..server import arguments, ceilings, database, errors, settings, sql_errors, streams
from ..session import admission, prefixes
from .generation import Request

COLUMNS_GIVEN = 5  # key, response, finish_reason, tokens, error
FETCH = 32  # rows of a query at a time
SECONDS_BETWEEN_COMMITS = 1
SHAPE = "It is a SELECT, or VALUES, of two columns: SELECT id, body FROM post."

LIMITED = """SELECT id::text,
    CASE WHEN pg_catalog.octet_length(prompt::text) <= {most} THEN prompt::text END AS prompt,
    CASE WHEN pg_catalog.octet_length(prompt::text) > {most} THEN pg_catalog.octet_length(prompt::text) END AS too_many
FROM (
{query}
) AS given (id, prompt)"""
TABLE_COLUMNS = database.Query(
    "SELECT a.attname AS name, pg_catalog.format_type(a.atttypid, a.atttypmod) AS type "
    "FROM pg_catalog.pg_attribute AS a "
    "WHERE a.attrelid = $1::regclass AND a.attnum > 0 AND NOT a.attisdropped "
    "AND a.attname IN ('id', 'response', 'finish_reason', 'tokens', 'error')",
    "text",
)
TYPES = {"response": "text", "finish_reason": "text", "tokens": "integer", "error": "text"}


def generate_many(prompts, *given):
    """Rows (ordinal from 1, response, finish_reason, tokens, error) for an array of prompts, as they finish."""
    if prompts is None:
        return []
    for prompt in prompts:
        if prompt is not None and not isinstance(prompt, str):
            raise arguments.ill("prompts", prompts, "an array of one dimension")
    ceilings.require_texts(prompts, "prompts")
    return streams.Stream(written(Request(*given), enumerate(prompts, 1)), COLUMNS_GIVEN)


def generate_query(query, *given):
    """Rows (id, response, finish_reason, tokens, error) for the rows (id, prompt) of a query, as they finish."""
    if query is None:
        return []
    request = Request(*given)
    return streams.Stream(written(request, rows_of(query, request)), COLUMNS_GIVEN)


def generate_into(query, target, *given):
    """Insert what generate_query gives into a table, and commit about once a second, so that nothing done is lost."""
    if query is None or target is None:
        raise arguments.ill("query" if query is None else "target", None, "not null")
    insert = database.Query(*_insertion(target))
    with sql_errors.hint_for([errors.INVALID_TERMINATION], "It commits as it goes: call it outside of a transaction."):
        database.commit()  # nothing yet: where none is possible, that is said before anything is computed
    request = Request(*given)
    try:
        _insert(insert, written(request, rows_of(query, request, database.lasting_cursor)))
    finally:
        insert.forget()


def _insert(insert, rows):
    committed = time.monotonic()
    for row in rows:
        insert.one(*row)
        if time.monotonic() - committed > SECONDS_BETWEEN_COMMITS:
            database.commit()
            committed = time.monotonic()
    database.commit()


def written(request, prompts):
    """Rows (key, response, finish_reason, tokens, error) of (key, prompt) pairs; reads one when another can run.

    What can be wrong with the arguments is found here, before the first row.
    """
    stats, engine = prefixes.begin(), request.model.engine
    _ = request.model.tokenizer  # read now: later there may be a slot, within which nothing waits for the tables
    reusable = prefixes.Prefixes(request.model, engine)
    memory = settings.megabytes("batch_mb")
    rows = _continuations(request, prompts)
    call = admission.Call()
    scheduler = Scheduler(engine, rows, call.checkpoint, memory, stats, reusable.fork)
    return _written(request, call.each(scheduler.run()), scheduler, stats, reusable)


def _written(request, results, scheduler, stats, reusable):
    for (key, prompt), continuation, text, error in timed(results, stats):
        if error is not None:
            yield key, None, None, None, told(error)
        else:
            tokens = len(continuation.tokens)
            yield key, request.text(prompt, text), continuation.finish_reason, tokens, None
    if scheduler.last is not None:
        reusable.keep(scheduler.last.continuation.history, scheduler.last.cache)


def rows_of(query, request, cursor=database.cursor):
    """The (id, prompt) of a query's rows, both as text; nobody waits for this session's slot meanwhile.

    A prompt that cannot fit is a ModelError in its place: it never leaves the server.
    """
    ceilings.require_bytes("text_mb", ceilings.size(query), "the query")
    text = query.rstrip().rstrip(";")
    _check_columns(text)
    rows = cursor(LIMITED.format(query=text, most=request.most_bytes), FETCH)
    while True:
        with admission.paused():
            row = next(rows, None)
        if row is None:
            return
        yield row["id"], row["prompt"] if row["too_many"] is None else request.refusal(row["too_many"])


def _check_columns(query):
    with sql_errors.hint_for((errors.SYNTAX_ERROR, errors.SEVERAL_STATEMENTS), f"The query stands in FROM. {SHAPE}"):
        columns = database.columns_of(query)
    if len(columns) != 2:
        raise errors.invalid_parameter(
            f"the query gives {len(columns)} column{'s' * (len(columns) != 1)}, not an id and a prompt",
            ", ".join(columns) or None,
            SHAPE,
        )


def _continuations(request, prompts):
    """((key, prompt), Continuation or ModelError) of each."""
    for number, (key, prompt) in enumerate(prompts):
        try:
            if prompt is None:
                raise errors.invalid_parameter("the prompt is null")
            if isinstance(prompt, errors.ModelError):
                raise prompt
            yield (key, prompt), request.continuation(prompt, number)
        except errors.ModelError as error:
            yield (key, prompt), error


def timed(results, stats):
    """The results; the stats grow by the time that each took."""
    while True:
        began = time.perf_counter()
        result = next(results, None)
        stats.milliseconds += (time.perf_counter() - began) * 1000
        if result is None:
            return
        yield result


def told(error):
    """An error as a row shows it."""
    return error.message if error.detail is None else f"{error.message}: {error.detail}"


def _insertion(target):
    """The INSERT into a table and its parameters' types; ids have the type of the table's own."""
    types = {row["name"]: row["type"] for row in TABLE_COLUMNS.all(target)}
    missing = [name for name in ("id", *TYPES) if name not in types]
    if missing:
        raise errors.invalid_parameter(
            f"table {target} has no column {missing[0]}",
            hint="It needs id, of any type, and response text, finish_reason text, tokens integer, error text.",
        )
    columns = ", ".join(("id", *TYPES))
    sql = f"INSERT INTO {target} ({columns}) VALUES ($1, $2, $3, $4, $5)"
    return sql, types["id"], *TYPES.values()
