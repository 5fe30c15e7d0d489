"""`serving.*`: one row over HTTP, beside other model servers, each with the same model."""
