"""The programs that run inside the jobs: pure functions of folders, without boto3."""
