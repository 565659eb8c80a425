-- Deploy hartonomous:function_embedding to pg
-- requires: schema_llm, function_runtime_boot, table_model_tensor

BEGIN;
SET LOCAL lock_timeout = '5s';

CREATE FUNCTION llm.embedding(tokens integer[], model text DEFAULT NULL)
RETURNS bytea
LANGUAGE plpython3u
VOLATILE
PARALLEL UNSAFE
COST 1000
AS $python$
llm = GD.get('llm') or plpy.execute('SELECT llm_runtime.boot()') and GD['llm']
return llm.operators.embedding(tokens, model)
$python$;

REVOKE ALL ON FUNCTION llm.embedding(integer[], text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION llm.embedding(integer[], text) TO llm_user;
COMMENT ON FUNCTION llm.embedding(integer[], text) IS
E'The row of each token of the token embedding: integer[n] to [n, hidden_size]. The engine computes it, as the other '
'operators; llm.embedding of one token reads its row alone.\n'
'An activation is bytea: little-endian float32, a row a token.\n'
'tokens: NULL gives NULL; an id outside of the vocabulary is an error.\n'
'model: a name of llm.models; NULL is the default model.';

COMMIT;
