-- Deploy hartonomous:function_store_is_model_name to pg
-- requires: schema_llm_store, role_llm_loader

BEGIN;
SET LOCAL lock_timeout = '5s';

CREATE FUNCTION llm_store.is_model_name(name text)
RETURNS boolean
LANGUAGE sql
IMMUTABLE
STRICT
PARALLEL SAFE
RETURN name OPERATOR (pg_catalog.~) '^[A-Za-z0-9][A-Za-z0-9._:/@+-]{0,99}$';

ALTER FUNCTION llm_store.is_model_name(text) OWNER TO llm_owner;
REVOKE ALL ON FUNCTION llm_store.is_model_name(text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION llm_store.is_model_name(text) TO llm_loader;
COMMENT ON FUNCTION llm_store.is_model_name(text) IS
'Whether name is a valid name of a model: 1 to 100 letters, digits and . _ : / @ + -, beginning with a letter or '
'digit.';

COMMIT;
