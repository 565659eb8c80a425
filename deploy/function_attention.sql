-- Deploy hartonomous:function_attention to pg
-- requires: schema_llm, function_runtime_boot, table_model_tensor, function_runtime_check_elements

BEGIN;
SET LOCAL lock_timeout = '5s';

CREATE FUNCTION llm_runtime.attention(
    q bytea,
    k bytea,
    v bytea,
    cache bigint,
    layer integer,
    positions integer[],
    model text
)
RETURNS bytea
LANGUAGE plpython3u
VOLATILE
PARALLEL UNSAFE
COST 10000
AS $python$
llm = GD.get('llm') or plpy.execute('SELECT llm_runtime.boot()') and GD['llm']
return llm.operators.attention(q, k, v, cache, layer, positions, model)
$python$;

CREATE FUNCTION llm.attention(
    q bytea,
    k bytea,
    v bytea,
    cache bigint,
    layer integer,
    positions integer[],
    model text DEFAULT NULL
)
RETURNS bytea
LANGUAGE sql
VOLATILE
PARALLEL UNSAFE
COST 10000
RETURN CASE
    WHEN llm_runtime.check_elements(cardinality(positions), 'positions')
        THEN llm_runtime.attention(q, k, v, cache, layer, positions, model)
END;

REVOKE ALL ON FUNCTION llm_runtime.attention FROM PUBLIC;
GRANT EXECUTE ON FUNCTION llm_runtime.attention TO llm_owner, llm_user;
COMMENT ON FUNCTION llm_runtime.attention IS
'Called by llm.attention after it has checked the size of the array.';

ALTER FUNCTION llm.attention(bytea, bytea, bytea, bigint, integer, integer[], text) OWNER TO llm_owner;
REVOKE ALL ON FUNCTION llm.attention(bytea, bytea, bytea, bigint, integer, integer[], text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION llm.attention(bytea, bytea, bytea, bigint, integer, integer[], text) TO llm_user;
COMMENT ON FUNCTION llm.attention(bytea, bytea, bytea, bigint, integer, integer[], text) IS
E'Causal attention with a KV cache (arXiv 1706.03762, 2305.13245): stores k and v in the cache at their positions; '
'then every query attends to all positions up to its own, or, if the layer has a window, to the latest of them.\n'
'q is [n, heads * head_dim], k and v are [n, kv_heads * head_dim], the result is like q.\n'
'An activation is bytea: little-endian float32, one row per token.\n'
'q, k, v, positions: NULL gives NULL.\n'
'cache: a handle from llm.new_kv_cache; NULL is a scratch cache of the session.\n'
'layer: from 0.\n'
'positions: one for each token, ascending by 1. The first may be at most the number of positions that the cache '
'holds for the layer. Positions from there on are replaced, so the same call twice gives the same result.\n'
'model: a name from llm.models; NULL is the default model.';

COMMIT;
