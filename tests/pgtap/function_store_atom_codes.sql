BEGIN;
SELECT plan(4);

\ir one_tensor.psql

SELECT is(llm_store.store_atom_codes(ARRAY[sha256('tensor')], '{w}'), 32::bigint, 'the block has 32 weights');
SELECT is(
    (SELECT c.codes FROM llm_store.atom_code_count AS c WHERE c.tensor_hash = sha256('tensor')),
    ARRAY(SELECT i FROM generate_series(0, 31) AS i), 'their counts are stored');
SELECT is(
    (SELECT a.content FROM llm_store.atom AS a WHERE a.content_hash = llm_store.atom_code_hash('Q8_0', 31)),
    'Q8_0\000\037'::bytea, 'and the codes are atoms');
SET LOCAL ROLE llm_loader;
SELECT throws_ok('SELECT llm_store.store_atom_codes(''{}'', ''{}'')', '42501', NULL, 'a loader goes through atomise');
RESET ROLE;

SELECT * FROM finish();
ROLLBACK;
