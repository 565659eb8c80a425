BEGIN;
SELECT plan(2);

\ir one_tensor.psql

SELECT results_eq(
    $$SELECT code, count FROM llm_store.atom_code_counts(sha256('tensor')) ORDER BY code$$,
    'SELECT i, 1::bigint FROM generate_series(0, 31) AS i',
    'every code of the block is counted');
UPDATE llm_store.tensor SET type = 'F32' WHERE hash = sha256('tensor');
SELECT throws_ok(
    $$SELECT llm_store.atom_code_counts(sha256('tensor'))$$, '0A000', NULL, 'F32 has no codes that are atoms');

SELECT * FROM finish();
ROLLBACK;
