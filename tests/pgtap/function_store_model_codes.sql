BEGIN;
SELECT plan(4);

\ir three_tokens.psql
\ir one_tensor.psql
\ir a_model_of_them.psql
SELECT m.id FROM llm_store.model AS m WHERE m.name = 'aqz' \gset

SELECT is_empty(
    format('SELECT FROM llm_store.model_code WHERE model_id = %s', :id), 'what is not counted is not known');
SELECT llm_store.store_atom_codes(ARRAY[sha256('tensor')], '{w}');
SELECT llm_store.store_model_codes(ARRAY[:id, -1]);
SELECT results_eq(
    format('SELECT type, code_bits::text FROM llm_store.model_code WHERE model_id = %s', :id),
    $$VALUES ('Q8_0', repeat('1', 32) || repeat('0', 224))$$, 'codes 0 to 31 are in the tensor');
UPDATE llm_store.model_code SET code_bits = ~code_bits WHERE model_id = :id;
INSERT INTO llm_store.model_code (model_id, type, code_bits) VALUES (:id, 'Q4_0', B'1');
SELECT llm_store.store_model_codes(ARRAY[:id]);
SELECT results_eq(
    format('SELECT type, code_bits::text FROM llm_store.model_code WHERE model_id = %s', :id),
    $$VALUES ('Q8_0', repeat('1', 32) || repeat('0', 224))$$, 'what is wrong is mended');
SELECT ctid AS before FROM llm_store.model_code WHERE model_id = :id \gset
SELECT llm_store.store_model_codes(ARRAY[:id]);
SELECT is(c.ctid, :'before'::tid, 'what is right is not written')
FROM llm_store.model_code AS c WHERE c.model_id = :id;

SELECT * FROM finish();
ROLLBACK;
