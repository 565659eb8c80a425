-- Deploy hartonomous:function_chat_details to pg
-- requires: schema_llm, function_runtime_chat, function_runtime_check_elements

-- The size of large messages is checked before Python gets them: see function_generate.
BEGIN;
SET LOCAL lock_timeout = '5s';

CREATE FUNCTION llm.chat_details(
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
    options jsonb DEFAULT NULL,
    OUT text text,
    OUT reasoning text,
    OUT tool_calls jsonb,
    OUT finish_reason text,
    OUT usage jsonb
)
RETURNS record
LANGUAGE sql
VOLATILE
PARALLEL UNSAFE
COST 10000
-- noqa: disable=RF03
BEGIN ATOMIC
    SELECT
        c.text,
        c.reasoning,
        c.tool_calls,
        c.finish_reason,
        c.usage
    FROM llm_runtime.chat(
        messages, model, tools, max_tokens, temperature, top_k, top_p, min_p, repeat_penalty, seed, stop, options
    ) AS c
    WHERE
        llm_runtime.check_texts(ARRAY[messages::text, tools::text], 'messages and tools')
        AND llm_runtime.check_texts(stop, 'stop');
END;

ALTER FUNCTION llm.chat_details OWNER TO llm_owner;
REVOKE ALL ON FUNCTION llm.chat_details FROM PUBLIC;
GRANT EXECUTE ON FUNCTION llm.chat_details TO llm_user;
COMMENT ON FUNCTION llm.chat_details IS
E'As llm.chat, with details in one row: text (the answer without reasoning and tool calls), reasoning (what a '
'reasoning model wrote before its answer; NULL without any), tool_calls (an array of {"id": ..., "type": "function", '
'"function": {"name": ..., "arguments": {...}}}, as a message of the role assistant may have it; NULL without any), '
'finish_reason (stop: the model ended its turn; stop_string: a stop string did; length: max_tokens or the context was '
'reached) and usage (an object of prompt_tokens, completion_tokens and total_tokens).\n'
'Arguments are those of llm.chat; NULL messages give a row of NULLs.\n'
'Nothing calls a tool: the caller does, and appends a message of the role tool with what it returned.';

COMMIT;
