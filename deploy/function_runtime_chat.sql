-- Deploy hartonomous:function_runtime_chat to pg
-- requires: schema_llm_runtime, function_runtime_boot, function_runtime_run_limits, function_runtime_call_limits, table_model_tensor

-- VOLATILE: two calls may differ, and EXPLAIN must not run it. COST: a second or more.
BEGIN;
SET LOCAL lock_timeout = '5s';

CREATE FUNCTION llm_runtime.chat(
    messages jsonb,
    model text,
    tools jsonb,
    max_tokens integer,
    temperature double precision,
    top_k integer,
    top_p double precision,
    min_p double precision,
    repeat_penalty double precision,
    seed bigint,
    stop text[],
    options jsonb,
    OUT text text,
    OUT reasoning text,
    OUT tool_calls jsonb,
    OUT finish_reason text,
    OUT usage jsonb
)
RETURNS record
LANGUAGE plpython3u
VOLATILE
PARALLEL UNSAFE
COST 10000
AS $python$
llm = GD.get('llm') or plpy.execute('SELECT llm_runtime.boot()') and GD['llm']
return llm.chat.details(
    messages, model, tools, max_tokens, temperature, top_k, top_p, min_p, repeat_penalty, seed, stop, options
)
$python$;

CREATE FUNCTION llm_runtime.chat_prompt(messages jsonb, model text, tools jsonb, add_generation_prompt boolean)
RETURNS text
LANGUAGE plpython3u
VOLATILE
PARALLEL UNSAFE
COST 10000
AS $python$
llm = GD.get('llm') or plpy.execute('SELECT llm_runtime.boot()') and GD['llm']
return llm.chat.prompt_text(messages, model, tools, add_generation_prompt)
$python$;

REVOKE ALL ON FUNCTION llm_runtime.chat FROM PUBLIC;
GRANT EXECUTE ON FUNCTION llm_runtime.chat TO llm_owner, llm_user;
COMMENT ON FUNCTION llm_runtime.chat IS
'Called by llm.chat and llm.chat_details after they have checked the size of messages and tools.';

REVOKE ALL ON FUNCTION llm_runtime.chat_prompt FROM PUBLIC;
GRANT EXECUTE ON FUNCTION llm_runtime.chat_prompt TO llm_owner, llm_user;
COMMENT ON FUNCTION llm_runtime.chat_prompt IS
'Called by llm.chat_prompt after it has checked the size of messages and tools.';

COMMIT;
