-- Deploy hartonomous:function_diff to pg
-- requires: schema_llm, function_runtime_boot, table_model_tensor, table_tensor_tile

BEGIN;
SET LOCAL lock_timeout = '5s';

CREATE FUNCTION llm.diff(a text, b text)
RETURNS TABLE (tensor text, change text, tiles integer, tiles_changed integer, norm double precision)
LANGUAGE plpython3u
STABLE
PARALLEL UNSAFE
SECURITY INVOKER
COST 100000
AS $python$
llm = GD.get('llm') or plpy.execute('SELECT llm_runtime.boot()') and GD['llm']
return llm.diff.diff(a, b)
$python$;

REVOKE ALL ON FUNCTION llm.diff(text, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION llm.diff(text, text) TO llm_user;
COMMENT ON FUNCTION llm.diff(text, text) IS
E'How model b differs from model a, one row per tensor.\n'
'Rows of q and k that a GGUF and a Hugging Face folder have in different orders are compared in one order. A '
'rope_freqs.weight that only one of them has is no change if both rotate by the same angles.\n'
'change: none, values, type, shape, added or removed.\n'
'tiles: how many tiles the tensor has in b.\n'
'tiles_changed: how many of these differ from a.\n'
'norm: the Euclidean norm of the difference of the values; NULL if the values cannot be subtracted.\n'
'a and b: names from llm.models.\n'
'Equal tensors are not read, unless their rows are in different orders.';

COMMIT;
