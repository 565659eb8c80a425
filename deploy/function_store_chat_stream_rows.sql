-- Deploy hartonomous:function_store_chat_stream_rows to pg
-- requires: schema_llm_store, function_runtime_boot, function_runtime_run_limits, function_runtime_call_limits, table_model_tensor

BEGIN;
SET LOCAL lock_timeout = '5s';

CREATE FUNCTION llm_store.chat_stream_rows(
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
    options jsonb
)
RETURNS TABLE (
    seq integer, piece text, token_id integer, logprob double precision, finish_reason text, failure text
)
LANGUAGE plpython3u
VOLATILE
PARALLEL UNSAFE
COST 10000
ROWS 100
AS $python$
llm = GD.get('llm') or plpy.execute('SELECT llm_runtime.boot()') and GD['llm']
return llm.chat_streaming.chat(
    messages, model, tools, max_tokens, temperature, top_k, top_p, min_p, repeat_penalty, seed, stop, options
)
$python$;

REVOKE ALL ON FUNCTION llm_store.chat_stream_rows FROM PUBLIC;
GRANT EXECUTE ON FUNCTION llm_store.chat_stream_rows TO llm_user;
COMMENT ON FUNCTION llm_store.chat_stream_rows IS
'Computes the rows of llm.chat_stream one by one. If an error ends them, the last row has it in the column '
'failure, for llm_store.raise_late.';

COMMIT;
