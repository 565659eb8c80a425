-- Deploy hartonomous:trigger_number to pg
-- requires: table_number

-- The rows come with the deployment, and a dump has them too: restored into a deployed database they would be there twice.
BEGIN;
SET LOCAL lock_timeout = '5s';

CREATE FUNCTION llm_store.skip_known_number()
RETURNS trigger
LANGUAGE plpgsql
SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $function$
BEGIN
    IF EXISTS (SELECT FROM llm_store.number AS o WHERE o.n = new.n) THEN
        RETURN NULL;
    END IF;
    RETURN new;
END
$function$;

ALTER FUNCTION llm_store.skip_known_number() OWNER TO llm_owner;
REVOKE ALL ON FUNCTION llm_store.skip_known_number() FROM PUBLIC;
COMMENT ON FUNCTION llm_store.skip_known_number() IS 'Skips a row of llm_store.number that exists already.';

CREATE TRIGGER known_before_insert
BEFORE INSERT ON llm_store.number
FOR EACH ROW EXECUTE FUNCTION llm_store.skip_known_number();

COMMENT ON TRIGGER known_before_insert ON llm_store.number IS
'Skips numbers that exist already: a restore contains them too.';

COMMIT;
