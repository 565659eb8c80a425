BEGIN;
SELECT plan(7);

CREATE FUNCTION pg_temp.memory() RETURNS integer LANGUAGE plpython3u AS $python$
import os
return os.memfd_create("rows")
$python$;
CREATE TEMPORARY TABLE memory AS SELECT pg_temp.memory() AS descriptor;
CREATE TEMPORARY TABLE expected AS
SELECT
    k.h_xy,
    k.h_yz,
    k.h_zm,
    p.geom,
    'compositional' AS modality,
    sha256(c.content) AS content_hash,
    c.content
FROM (VALUES ('zq~1'::bytea), ('zq~22'::bytea)) AS c (content)
CROSS JOIN LATERAL llm_atoms.atom_point(c.content) AS p (geom)
CROSS JOIN LATERAL llm_atoms.hilbert_keys(p.geom) AS k;
DO $write$
BEGIN
    EXECUTE format(
        'COPY pg_temp.expected TO %L (FORMAT binary)', '/proc/self/fd/' || (SELECT m.descriptor FROM memory AS m)
    );
END
$write$;

SELECT ok(llm_store.copy_atoms(m.descriptor), 'new atoms are stored') FROM memory AS m;
SELECT results_eq(
    $$SELECT a.* FROM llm_store.atom AS a WHERE a.content_hash IN (SELECT e.content_hash FROM expected AS e)
        ORDER BY a.content$$,
    'SELECT e.* FROM expected AS e ORDER BY e.content', 'as the file in memory has them');
DELETE FROM llm_store.atom WHERE content = 'zq~1';
SELECT ok(NOT llm_store.copy_atoms(m.descriptor), 'where one is there already') FROM memory AS m;
SELECT is_empty($$SELECT FROM llm_store.atom WHERE content = 'zq~1'$$, 'none is stored');
SELECT throws_ok('SELECT llm_store.copy_atoms(0)', '22P04', NULL, 'any other open file is refused');
SET LOCAL ROLE llm_loader;
SELECT throws_ok('SELECT llm_store.copy_atoms(0)', '42501', NULL, 'a loader may not copy');
RESET ROLE;
REVOKE pg_read_server_files FROM llm_atom_copier;
SELECT ok(NOT llm_store.copy_atoms(0), 'without the right to read files nothing is copied, and nothing refused');

SELECT * FROM finish();
ROLLBACK;
