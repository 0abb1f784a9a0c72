"""CodePipeline and CodeBuild of the embedded cloud; see local_cloud/README.md."""
