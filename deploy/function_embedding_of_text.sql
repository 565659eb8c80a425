-- Deploy hartonomous:function_embedding_of_text to pg
-- requires: schema_llm, function_runtime_boot, view_store_tensor_row

BEGIN;
SET LOCAL lock_timeout = '5s';

CREATE FUNCTION llm.embedding(token text, model text DEFAULT NULL)
RETURNS bytea
LANGUAGE plpython3u
VOLATILE
PARALLEL UNSAFE
SECURITY INVOKER
COST 1000
AS $python$
llm = GD.get('llm') or plpy.execute('SELECT llm_runtime.boot()') and GD['llm']
return llm.weight_rows.embedding(token, model)
$python$;

REVOKE ALL ON FUNCTION llm.embedding(text, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION llm.embedding(text, text) TO llm_user;
COMMENT ON FUNCTION llm.embedding(text, text) IS
E'The embedding of one token: bytea of little-endian float32, of which llm.floats shows the numbers.\n'
'Reads that row alone.\n'
'token: exactly what it says, a space before a word included: '' king''.\n'
'model: a name of llm.models; NULL is the default model.';

COMMIT;
