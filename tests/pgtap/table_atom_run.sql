BEGIN;
SELECT plan(5);

SELECT ok(
    public.geometry_distance_centroid_nd(
        public.st_collect(public.st_makepoint(3, 0, 0, 10), public.st_makepoint(4, 0, 0, 1)),
        public.st_makepoint(0, 0, 0, 0)
    ) BETWEEN 3 AND 4.1,
    'a run is no further away than its nearest point');
SELECT is(
    public.geometry_distance_centroid_nd(
        public.st_collect(public.st_makepoint(3, 4, 0, 12), public.st_makepoint(6, 8, 0, 20)),
        public.st_makepoint(0, 0, 0, 0)
    ),
    13::double precision, 'and all four dimensions count');
SELECT is(
    (
        SELECT o.opcname::text
        FROM pg_catalog.pg_index AS i
        INNER JOIN pg_catalog.pg_opclass AS o ON o.oid = i.indclass[0]
        WHERE i.indexrelid = 'llm_store.atom_run_geom_idx'::regclass
    ),
    'gist_geometry_ops_nd', 'in its index too');
SELECT throws_ok(
    $$INSERT INTO llm_store.atom_run
        SELECT 0, 0, 1, 'ab', '{1, 2}', public.st_multi(llm_atoms.atom_point('ab'))$$,
    '23514', NULL, 'each point has its content');
SET LOCAL ROLE llm_loader;
SELECT throws_ok('DELETE FROM llm_store.atom_run', '42501', NULL, 'a loader may not write runs');
RESET ROLE;

SELECT * FROM finish();
ROLLBACK;
