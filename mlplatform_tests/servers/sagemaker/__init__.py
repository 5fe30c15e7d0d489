"""A stand-in for Amazon SageMaker that does the work: jobs run, endpoints answer. `server.sagemaker` starts one."""
