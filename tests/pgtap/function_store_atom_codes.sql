BEGIN;
SELECT plan(4);

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

SELECT is(llm_store.store_atom_codes(ARRAY[sha256('tensor')]), 32::bigint, 'the block has 32 weights');
SELECT is(
    (SELECT c.codes FROM llm_store.atom_code_count AS c WHERE c.tensor_hash = sha256('tensor')),
    ARRAY(SELECT i FROM generate_series(0, 31) AS i), 'their counts are stored');
SELECT is(
    (SELECT a.content FROM llm_store.atom AS a WHERE a.content_hash = llm_store.atom_code_hash('Q8_0', 31)),
    'Q8_0\000\037'::bytea, 'and the codes are atoms');
SET LOCAL ROLE llm_loader;
SELECT throws_ok('SELECT llm_store.store_atom_codes(''{}'')', '42501', NULL, 'a loader goes through atomise');
RESET ROLE;

SELECT * FROM finish();
ROLLBACK;
