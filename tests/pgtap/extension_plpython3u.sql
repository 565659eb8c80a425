BEGIN;
SELECT plan(2);

SELECT has_extension('plpython3u', 'Python is there');
SELECT is(
    (SELECT lanpltrusted FROM pg_catalog.pg_language WHERE lanname = 'plpython3u'), FALSE,
    'only superusers write functions in it');

SELECT * FROM finish();
ROLLBACK;
