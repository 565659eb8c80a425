BEGIN;
SELECT plan(2);

SELECT has_extension('postgis', 'PostGIS is there');
SELECT has_type('geometry', 'and with it geometry');

SELECT * FROM finish();
ROLLBACK;
