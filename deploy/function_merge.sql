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
E'Makes a new model of several of one architecture and vocabulary, and returns the largest rounding error of encoding '
'it in the first model''s types. It has the first model''s tokenizer, and its order of the rows of q and k.\n'
'method: linear, the weighted sum (model soups, arXiv 2203.05482); slerp, along the arc between two models, tensor '
'by tensor (Shoemake 1985); task_arithmetic, base plus scale times the weighted sum of the differences to it (arXiv '
'2212.04089); ties, the same with differences trimmed to the density part that is largest and merged where their '
'signs agree with the elected one (arXiv 2306.01708).\n'
'models: names of llm.models.\n'
'new: a name that is free.\n'
'weights: one for each model; NULL is equal ones that add up to 1, with a base 1 each.\n'
'base: the model that the others were trained from, for the last two.\n'
'density and scale: for ties, for the last two.';

COMMIT;
