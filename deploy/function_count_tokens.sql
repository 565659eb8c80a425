-- Deploy hartonomous:function_count_tokens to pg
-- requires: schema_llm, function_runtime_boot, table_model_tensor

BEGIN;
SET LOCAL lock_timeout = '5s';

CREATE FUNCTION llm.count_tokens(
    text text,
    model text DEFAULT NULL,
    add_special boolean DEFAULT TRUE
)
RETURNS integer
LANGUAGE plpython3u
VOLATILE
PARALLEL UNSAFE
COST 10000
AS $python$
llm = GD.get('llm') or plpy.execute('SELECT llm_runtime.boot()') and GD['llm']
return llm.generation.count_tokens(text, model, add_special)
$python$;

REVOKE ALL ON FUNCTION llm.count_tokens(text, text, boolean) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION llm.count_tokens(text, text, boolean) TO llm_user;
COMMENT ON FUNCTION llm.count_tokens(text, text, boolean) IS
E'How many tokens a text has: the length of llm.tokenize(text, model, add_special).\n'
'text: NULL gives NULL.\n'
'model: a name from llm.models; NULL is the default model.\n'
'add_special: also count the tokens that the model puts around a text, such as beginning-of-sequence.';

COMMIT;
