BEGIN;
SELECT plan(2);

SELECT columns_are(
    'llm_store', 'atom_layer', ARRAY['model_id', 'layer', 'tensors', 'ordinal', 'hash'], 'a layer is told by content');
SELECT is_empty(
    'SELECT FROM llm_store.atom_layer GROUP BY model_id, layer HAVING count(*) > 1', 'each layer of a model is one row'
    );

SELECT * FROM finish();
ROLLBACK;
