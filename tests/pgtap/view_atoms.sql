BEGIN;
SELECT plan(3);

SELECT columns_are(
    'llm', 'atoms',
    ARRAY['h_xy', 'h_yz', 'h_zm', 'geom', 'modality', 'content_hash', 'ref_count', 'meta'], 'the columns of an atom');
SELECT is_empty(
    'SELECT FROM llm.atoms WHERE ref_count IS NULL OR ref_count < 1', 'what nothing refers to is not shown');
SELECT ok(
    (
        SELECT 'security_invoker=true' = any(c.reloptions)
        FROM pg_catalog.pg_class AS c
        WHERE c.oid = 'llm.atoms'::regclass
    ),
    'the rights of who reads decide');

SELECT * FROM finish();
ROLLBACK;
