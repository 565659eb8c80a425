-- Deploy hartonomous:function_generate_stream to pg
-- requires: schema_llm, role_llm_owner, function_store_generate_stream_rows, function_store_raise_late, function_runtime_check_prompt, function_runtime_check_elements

-- STABLE, so that the planner puts the query below in the place of the call. A function that is called in FROM is run to its
-- end before its first row is seen; a query is not. The planner does so only for arguments without a volatile function or a
-- subquery. Nothing else rests on it: rows of a set are never computed in advance, and EXPLAIN runs nothing.
BEGIN;
SET LOCAL lock_timeout = '5s';

CREATE FUNCTION llm.generate_stream(
    prompt text,
    model text DEFAULT NULL,
    max_tokens integer DEFAULT NULL,
    temperature double precision DEFAULT 0,
    top_k integer DEFAULT NULL,
    top_p double precision DEFAULT NULL,
    min_p double precision DEFAULT NULL,
    repeat_penalty double precision DEFAULT NULL,
    seed bigint DEFAULT NULL,
    stop text[] DEFAULT NULL,
    options jsonb DEFAULT NULL
)
RETURNS TABLE (seq integer, piece text, token_id integer, logprob double precision, finish_reason text)
LANGUAGE sql
STABLE
PARALLEL UNSAFE
COST 10000
ROWS 100
BEGIN ATOMIC
    SELECT
        (r.computed).seq AS seq,
        (r.computed).piece AS piece,
        (r.computed).token_id AS token_id,
        (r.computed).logprob AS logprob,
        (r.computed).finish_reason AS finish_reason
    FROM (
        SELECT llm_store.generate_stream_rows(
            prompt, model, max_tokens, temperature, top_k, top_p, min_p, repeat_penalty, seed, stop, options
        ) AS computed
        WHERE
            ((octet_length(prompt) > 1000000) IS NOT TRUE OR llm_runtime.check_prompt(octet_length(prompt), model))
            AND llm_runtime.check_texts(stop, 'stop')
    ) AS r
    WHERE (r.computed).failure IS NULL OR llm_store.raise_late((r.computed).failure);
END;

ALTER FUNCTION llm.generate_stream OWNER TO llm_owner;
REVOKE ALL ON FUNCTION llm.generate_stream FROM PUBLIC;
GRANT EXECUTE ON FUNCTION llm.generate_stream TO llm_user;
COMMENT ON FUNCTION llm.generate_stream IS
E'Generates text from a prompt, a row for each piece of it. A row is computed when it is fetched, and sent before the '
'next is computed.\n'
'Returns seq (from 1), piece, token_id, logprob, finish_reason. A piece is whole characters; the pieces, joined, are '
'what llm.generate gives for the same arguments. token_id is the last token of the piece. logprob is the natural '
'logarithm of its probability at temperature 1, as llm.next_tokens gives it, whatever the samplers are; NULL '
'where a constraint forced the token. Of the first row with the option echo, whose piece is the prompt, both are '
'NULL.\n'
'The last row has an empty piece, NULL as token_id and logprob, and the finish_reason that llm.generate_details gives; '
'in other rows finish_reason is NULL. What may be the beginning of a stop string comes when it is certain that it is '
'none.\n'
'Arguments are those of llm.generate. prompt: NULL gives no rows.\n'
'options: guess and draft have no effect here: each pass computes one token.\n'
'In FROM, with a subquery or a volatile function among the arguments, all rows are computed before the first is seen.\n'
'Other sessions compute while nothing is fetched. To end a text early, close the cursor. A session has at most 16 '
'unfinished calls whose rows are fetched; more close the one that was not fetched from for longest.';

COMMIT;
