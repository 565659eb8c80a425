-- Deploy hartonomous:function_store_forward_tokens to pg
-- requires: schema_llm_store, function_runtime_boot

-- Checks that llm.forward, a query, cannot make by itself.
BEGIN;
SET LOCAL lock_timeout = '5s';

CREATE FUNCTION llm_store.forward_tokens(tokens integer[], cache bigint, start integer, model text)
RETURNS integer[]
LANGUAGE plpython3u
VOLATILE
PARALLEL UNSAFE
AS $python$
llm = GD.get('llm') or plpy.execute('SELECT llm_runtime.boot()') and GD['llm']
return llm.operators.forward_tokens(tokens, cache, start, model)
$python$;

REVOKE ALL ON FUNCTION llm_store.forward_tokens(integer[], bigint, integer, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION llm_store.forward_tokens(integer[], bigint, integer, text) TO llm_user;
COMMENT ON FUNCTION llm_store.forward_tokens(integer[], bigint, integer, text) IS
'Checks the tokens of a call of llm.forward and returns them: one dimension, no NULL, ids of the vocabulary of the '
'model called model (NULL: the default), no more than the context holds after start, and a KV cache if start is '
'above 0. NULL gives NULL.';

COMMIT;
