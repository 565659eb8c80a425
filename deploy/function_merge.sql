-- Deploy hartonomous:function_merge to pg
-- requires: schema_llm, table_operation, function_store_tile, function_store_atomise

BEGIN;
SET LOCAL lock_timeout = '5s';

CREATE FUNCTION llm.merge(
    models text[],
    new text,
    weights double precision[] DEFAULT NULL,
    method text DEFAULT 'linear',
    base text DEFAULT NULL,
    density double precision DEFAULT 0.2,
    scale double precision DEFAULT 1.0
)
RETURNS double precision
LANGUAGE plpython3u
VOLATILE
PARALLEL UNSAFE
SECURITY INVOKER
COST 100000
AS $python$
llm = GD.get('llm') or plpy.execute('SELECT llm_runtime.boot()') and GD['llm']
return llm.merge.merge(models, new, weights, method, base, density, scale)
$python$;

REVOKE ALL ON FUNCTION llm.merge(
    text[], text, double precision[], text, text, double precision, double precision
) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION llm.merge(
    text[], text, double precision[], text, text, double precision, double precision
) TO llm_loader;
COMMENT ON FUNCTION llm.merge(text[], text, double precision[], text, text, double precision, double precision) IS
E'Makes a new model from several models of the same architecture and vocabulary. It has the first model''s tokenizer, '
'types and order of the rows of q and k. Returns the largest rounding error of encoding in these types.\n'
'method: linear, the weighted sum (model soups, arXiv 2203.05482); slerp, spherical interpolation between two '
'models, tensor by tensor (Shoemake 1985); task_arithmetic, base plus scale times the weighted sum of the '
'differences from base (arXiv 2212.04089); ties, the same with only the largest density part of each difference, '
'merged where the signs agree with the elected sign (arXiv 2306.01708).\n'
'models: names from llm.models.\n'
'new: a name that no model has.\n'
'weights: one for each model. NULL: equal weights that add up to 1; with a base 1 each.\n'
'base: the model that the others were trained from; for task_arithmetic and ties.\n'
'density and scale: density for ties, scale for task_arithmetic and ties.';

COMMIT;
