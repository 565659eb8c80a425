BEGIN;
SELECT plan(2);

-- A tensor of one block of Q8_0: scale 1, then the codes 0 to 31.
INSERT INTO llm_store.tile (content)
SELECT '\x003c'::bytea || string_agg(set_byte('\x00'::bytea, 0, i), ''::bytea ORDER BY i)
FROM generate_series(0, 31) AS i;
INSERT INTO llm_store.tensor (hash, type, shape, rows_per_tile, bytes)
VALUES (sha256('tensor'), 'Q8_0', '{1,32}', 1, 34);
INSERT INTO llm_store.tensor_tile (tensor_hash, ordinal, tile_hash)
SELECT
    sha256('tensor') AS tensor_hash,
    0 AS ordinal,
    t.hash
FROM llm_store.tile AS t
WHERE substring(t.content FROM 1 FOR 6) = '\x003c00010203'::bytea;

SELECT results_eq(
    $$SELECT code, count FROM llm_store.atom_code_counts(sha256('tensor')) ORDER BY code$$,
    'SELECT i, 1::bigint FROM generate_series(0, 31) AS i',
    'every code of the block is counted');
UPDATE llm_store.tensor SET type = 'F32' WHERE hash = sha256('tensor');
SELECT throws_ok(
    $$SELECT llm_store.atom_code_counts(sha256('tensor'))$$, '0A000', NULL, 'F32 has no codes that are atoms');

SELECT * FROM finish();
ROLLBACK;
