BEGIN;
SELECT plan(6);

\ir tiny_model.psql

SET LOCAL ROLE llm_loader;
SELECT is(
    (SELECT count(*) FROM llm_store.store_tensors(pg_temp.tiny_manifest() -> 'tensors')), 11::bigint,
    'every tensor has a hash');
SELECT is(
    (SELECT count(DISTINCT hash) FROM llm_store.store_tensors(pg_temp.tiny_manifest() -> 'tensors')), 5::bigint,
    'equal ones are stored once, and again is no error');
SELECT is(
    (
        SELECT s.hash FROM llm_store.store_tensors(jsonb_build_array(pg_temp.tiny_tensor('a', 2, 2))) AS s
    ), llm_store.tensor_hash('F32', '{2,2}', ARRAY[sha256(pg_temp.ones(4))]), 'the server computes the hash');
SELECT throws_ok(
    $$SELECT llm_store.store_tensors(jsonb_build_array(pg_temp.tiny_tensor('a', 5)))$$,
    '42704', 'tile 0 of tensor "a" is not stored', 'a missing tile is named');
SELECT throws_ok(
    $$SELECT llm_store.store_tensors(jsonb_set(jsonb_build_array(pg_temp.tiny_tensor('a', 4)), '{0,shape}', '[3]'))$$,
    '22023', 'tile 0 of tensor "a" has the wrong size', 'so is one of the wrong size');
SELECT throws_ok($$DELETE FROM llm_store.tensor$$, '42501', NULL, 'what is stored stays');
RESET ROLE;

SELECT * FROM finish();
ROLLBACK;
