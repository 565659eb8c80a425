-- Deploy hartonomous:function_matches to pg
-- requires: schema_llm, function_runtime_boot, function_runtime_run_limits, function_runtime_call_limits, table_model_tensor, view_prompts

-- VOLATILE: a session keeps the KV caches of its prompts, and EXPLAIN must not run it. COST: a second or more.
BEGIN;
SET LOCAL lock_timeout = '5s';

CREATE FUNCTION llm.matches(
    text text,
    condition text,
    model text DEFAULT NULL,
    certainty double precision DEFAULT 0.6,
    options jsonb DEFAULT NULL
)
RETURNS boolean
LANGUAGE plpython3u
VOLATILE
PARALLEL UNSAFE
COST 10000
AS $python$
llm = GD.get('llm') or plpy.execute('SELECT llm_runtime.boot()') and GD['llm']
return llm.choices.matches(text, condition, model, certainty, options)
$python$;

REVOKE ALL ON FUNCTION llm.matches(text, text, text, double precision, jsonb) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION llm.matches(text, text, text, double precision, jsonb) TO llm_user;
COMMENT ON FUNCTION llm.matches(text, text, text, double precision, jsonb) IS
E'Whether a condition holds for a text: true, false, or NULL where the model cannot decide. It compares the '
'probabilities of the answers yes and no.\n'
'text: NULL gives NULL.\n'
'condition: in words, such as ''the customer wants money back''; NULL gives NULL.\n'
'model: a decoder of llm.models; NULL is the default decoder.\n'
'certainty: how probable the answer must be, beside the other one: from 0.5, which always decides, to 1; NULL is '
'0.6. Below it the result is NULL.\n'
'options: a JSON object. on_error: raise, the default, ends the statement when a text cannot be answered, such as '
'one longer than the context; null gives NULL for it.\n'
'Equal calls in a statement are computed once. The prompt is that of llm.prompts.';

COMMIT;
