-- Deploy hartonomous:function_embedding to pg
-- requires: schema_llm, function_runtime_boot, table_model_tensor, function_runtime_check_elements

BEGIN;
SET LOCAL lock_timeout = '5s';

CREATE FUNCTION llm_runtime.embedding(tokens integer[], model text)
RETURNS bytea
LANGUAGE plpython3u
VOLATILE
PARALLEL UNSAFE
COST 1000
AS $python$
llm = GD.get('llm') or plpy.execute('SELECT llm_runtime.boot()') and GD['llm']
return llm.operators.embedding(tokens, model)
$python$;

CREATE FUNCTION llm.embedding(tokens integer[], model text DEFAULT NULL)
RETURNS bytea
LANGUAGE sql
VOLATILE
PARALLEL UNSAFE
COST 1000
RETURN CASE
    WHEN llm_runtime.check_elements(cardinality(tokens), 'tokens') THEN llm_runtime.embedding(tokens, model)
END;

REVOKE ALL ON FUNCTION llm_runtime.embedding(integer[], text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION llm_runtime.embedding(integer[], text) TO llm_owner, llm_user;
COMMENT ON FUNCTION llm_runtime.embedding(integer[], text) IS
'Called by llm.embedding after it has checked the size of the array.';

ALTER FUNCTION llm.embedding(integer[], text) OWNER TO llm_owner;
REVOKE ALL ON FUNCTION llm.embedding(integer[], text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION llm.embedding(integer[], text) TO llm_user;
COMMENT ON FUNCTION llm.embedding(integer[], text) IS
E'The rows of the token embedding for tokens: integer[n] to [n, hidden_size]. It is an operator of the engine; '
'llm.embedding of a single token reads only that row.\n'
'An activation is bytea: little-endian float32, one row per token.\n'
'tokens: NULL gives NULL; an id outside of the vocabulary is an error.\n'
'model: a name from llm.models; NULL is the default model.';

COMMIT;
