BEGIN;
SELECT plan(6);

SELECT is(
    (SELECT count(*) FROM pg_catalog.pg_inherits AS i WHERE i.inhparent = 'llm_store.atom'::regclass),
    4::bigint, 'there are four partitions');
SELECT col_is_pk('llm_store', 'atom', ARRAY['h_xy', 'content_hash'], 'the key is the curve and the content');
INSERT INTO llm_store.atom
SELECT
    k.h_xy,
    k.h_yz,
    k.h_zm,
    p.geom,
    'compositional' AS modality,
    sha256('zq') AS content_hash,
    'zq' AS content
FROM llm_atoms.atom_point('zq') AS p (geom), llm_atoms.hilbert_keys(p.geom) AS k;
SELECT is(
    (SELECT a.tableoid::regclass::text FROM llm_store.atom AS a WHERE a.content_hash = sha256('zq')),
    'llm_store.atom_1', 'an atom lies in the squares of its key');
SELECT is(
    (
        SELECT string_agg(DISTINCT (get_byte(c.content, 0) < 64) || ' ' || (k.h_xy >> 58), ',')
        FROM generate_series(0, 255) AS f (n)
        CROSS JOIN generate_series(0, 255) AS l (n)
        CROSS JOIN LATERAL (SELECT set_byte(set_byte('zz', 0, f.n), 1, l.n) AS content) AS c
        CROSS JOIN LATERAL llm_atoms.hilbert_keys(llm_atoms.atom_point(c.content)) AS k
        WHERE (f.n < 64) <> (k.h_xy >> 58 IN (0, 3, 4, 5))
    ),
    NULL, 'what begins below @ lies in squares 0 and 3 to 5, and nothing else does');
SELECT throws_ok(
    $$INSERT INTO llm_store.atom SELECT a.* FROM llm_store.atom AS a WHERE a.content_hash = sha256('zq')$$,
    '23505', NULL, 'and is there once');
SET LOCAL ROLE llm_loader;
SELECT throws_ok('DELETE FROM llm_store.atom', '42501', NULL, 'a loader may not write atoms');
RESET ROLE;

SELECT * FROM finish();
ROLLBACK;
