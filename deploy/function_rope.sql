-- Deploy hartonomous:function_rope to pg
-- requires: schema_llm, function_runtime_boot, table_model_tensor, function_runtime_check_elements

BEGIN;
SET LOCAL lock_timeout = '5s';

CREATE FUNCTION llm_runtime.rope(
    x bytea,
    positions integer[],
    model text
)
RETURNS bytea
LANGUAGE plpython3u
VOLATILE
PARALLEL UNSAFE
COST 1000
AS $python$
llm = GD.get('llm') or plpy.execute('SELECT llm_runtime.boot()') and GD['llm']
return llm.operators.rope(x, positions, model)
$python$;

CREATE FUNCTION llm.rope(
    x bytea,
    positions integer[],
    model text DEFAULT NULL
)
RETURNS bytea
LANGUAGE sql
VOLATILE
PARALLEL UNSAFE
COST 1000
RETURN CASE
    WHEN llm_runtime.check_elements(cardinality(positions), 'positions') THEN llm_runtime.rope(x, positions, model)
END;

REVOKE ALL ON FUNCTION llm_runtime.rope(bytea, integer[], text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION llm_runtime.rope(bytea, integer[], text) TO llm_owner, llm_user;
COMMENT ON FUNCTION llm_runtime.rope(bytea, integer[], text) IS
'Called by llm.rope after it has checked the size of the array.';

ALTER FUNCTION llm.rope(bytea, integer[], text) OWNER TO llm_owner;
REVOKE ALL ON FUNCTION llm.rope(bytea, integer[], text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION llm.rope(bytea, integer[], text) TO llm_user;
COMMENT ON FUNCTION llm.rope(bytea, integer[], text) IS
E'Rotary position embedding (arXiv 2104.09864): rotates each head of queries or keys by its position, [n, heads * '
'head_dim] to the same, with the model''s frequencies, scaling and pairing.\n'
'An activation is bytea: little-endian float32, one row per token.\n'
'x, positions: NULL gives NULL.\n'
'positions: one for each token, ascending by 1, from 0 and within the model''s context.\n'
'model: a name from llm.models; NULL is the default model.';

COMMIT;
