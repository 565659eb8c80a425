BEGIN;
SELECT plan(5);

SELECT columns_are(
    'llm_store', 'atom_layer', ARRAY['model_id', 'layer', 'tensors', 'ordinal', 'hash'], 'a layer is told by content');
SELECT is_empty(
    'SELECT FROM llm_store.atom_layer GROUP BY model_id, layer HAVING count(*) > 1', 'each layer of a model is one row'
    );

\ir three_tokens.psql
\ir one_tensor.psql
\ir a_model_of_them.psql
INSERT INTO llm_store.model_tensor (model_id, ordinal, name, tensor_hash)
SELECT
    m.id AS model_id,
    n.i AS ordinal,
    n.name,
    sha256('tensor') AS tensor_hash
FROM llm_store.model AS m
CROSS JOIN unnest(ARRAY['blk.7.x', 'blk.7.y', 'blk.07.x', 'blk.0.x', 'blk.1000000.x']) WITH ORDINALITY AS n (name, i)
WHERE m.name = 'aqz';
SELECT results_eq(
    $$SELECT l.layer, l.tensors FROM llm_store.atom_layer AS l INNER JOIN llm_store.model AS m ON m.id = l.model_id
    WHERE m.name = 'aqz' ORDER BY l.layer$$,
    'VALUES (0, 1::bigint), (7, 2)', 'a number with a leading zero is no layer''s');
SELECT results_eq(
    $$SELECT d.name FROM llm_store.model AS m CROSS JOIN LATERAL llm_atoms.decompose(m.hash) AS d
    WHERE m.name = 'aqz' AND d.kind <> 'tokenizer' ORDER BY d.ordinal$$,
    $$VALUES ('tensor'), ('blk.7'), ('blk.07.x'), ('blk.0'), ('blk.1000000.x')$$,
    'its tensors are parts of the model itself');
SELECT results_eq(
    $$SELECT d.name FROM llm_store.model AS m INNER JOIN llm_store.atom_layer AS l ON m.id = l.model_id
    CROSS JOIN LATERAL llm_atoms.decompose(l.hash) AS d WHERE m.name = 'aqz' ORDER BY l.layer, d.ordinal$$,
    $$VALUES ('x'), ('x'), ('y')$$, 'and each layer is made of the tensors that it counts');

SELECT * FROM finish();
ROLLBACK;
