-- Deploy hartonomous:function_translate to pg
-- requires: schema_llm, function_runtime_boot, function_runtime_run_limits, function_runtime_call_limits, table_model_tensor, view_prompts

-- VOLATILE: a session keeps the KV caches of its prompts, and EXPLAIN must not run it. COST: a second or more.
BEGIN;
SET LOCAL lock_timeout = '5s';

CREATE FUNCTION llm.translate(
    text text,
    language text,
    model text DEFAULT NULL,
    max_tokens integer DEFAULT NULL
)
RETURNS text
LANGUAGE plpython3u
VOLATILE
PARALLEL UNSAFE
COST 10000
AS $python$
llm = GD.get('llm') or plpy.execute('SELECT llm_runtime.boot()') and GD['llm']
return llm.summaries.translate(text, language, model, max_tokens)
$python$;

REVOKE ALL ON FUNCTION llm.translate(text, text, text, integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION llm.translate(text, text, text, integer) TO llm_user;
COMMENT ON FUNCTION llm.translate(text, text, text, integer) IS
E'A text in another language. Text and translation together must fit into the model''s context.\n'
'text: NULL gives NULL.\n'
'language: its name, such as German; NULL gives NULL.\n'
'model: a decoder of llm.models; NULL is the default decoder.\n'
'max_tokens: the most tokens of the translation; NULL is twice those of the text and 32 more.\n'
'The prompt is that of llm.prompts; the model writes its most likely tokens.';

COMMIT;
