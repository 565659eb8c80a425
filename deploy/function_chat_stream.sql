-- Deploy hartonomous:function_chat_stream to pg
-- requires: schema_llm, role_llm_owner, function_store_chat_stream_rows, function_store_raise_late, function_runtime_check_elements

-- STABLE: see function_generate_stream.
BEGIN;
SET LOCAL lock_timeout = '5s';

CREATE FUNCTION llm.chat_stream(
    messages jsonb,
    model text DEFAULT NULL,
    tools jsonb DEFAULT NULL,
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
        SELECT llm_store.chat_stream_rows(
            messages,
            model,
            tools,
            max_tokens,
            temperature,
            top_k,
            top_p,
            min_p,
            repeat_penalty,
            seed,
            stop,
            options
        ) AS computed
        WHERE
            llm_runtime.check_texts(ARRAY[messages::text, tools::text], 'messages and tools')
            AND llm_runtime.check_texts(stop, 'stop')
    ) AS r
    WHERE (r.computed).failure IS NULL OR llm_store.raise_late((r.computed).failure);
END;

ALTER FUNCTION llm.chat_stream OWNER TO llm_owner;
REVOKE ALL ON FUNCTION llm.chat_stream FROM PUBLIC;
GRANT EXECUTE ON FUNCTION llm.chat_stream TO llm_user;
COMMENT ON FUNCTION llm.chat_stream IS
E'Answers the last message of a conversation, a row for each piece of the answer. A row is computed when it is '
'fetched, and sent before the next is computed.\n'
'Returns seq (from 1), piece, token_id, logprob, finish_reason, as llm.generate_stream does. The pieces, joined, are '
'what llm.chat returns for the same arguments: reasoning and calls of tools give no rows; llm.chat_details returns '
'them. What may be the beginning of one comes when it is certain that it is none.\n'
'messages, model, tools, max_tokens, temperature, top_k, top_p, min_p, repeat_penalty, seed, stop, options: as in '
'llm.chat. NULL messages give no rows.\n'
'options: guess and draft have no effect here: each pass computes one token.\n'
'What llm.generate_stream says about FROM, cursors and their number holds here too.';

COMMIT;
