using System.Diagnostics;
using DotNet.Testcontainers.Configurations;
using DotNet.Testcontainers.Images;
using Testcontainers.Redis;

namespace Eigengate.Integration.Tests;

/// <summary>Redis 7 through Testcontainers, from the image that eng/base-images.sh makes.</summary>
internal static class RedisInContainer
{
    private const string Image = "eigengate-test/redis:7.0";

    /// <summary>Starts a container; skips the calling test by name when this machine has no Docker or no image.</summary>
    public static async Task<RedisContainer> StartAsync()
    {
        CancellationToken cancel = TestContext.Current.CancellationToken;
        string? apiVersion = await DockerAsync("version", "--format", "{{.Server.APIVersion}}");
        Assert.SkipWhen(apiVersion is null, "no Docker daemon answers: see eng/test-machine.sh");
        Assert.SkipWhen(await DockerAsync("image", "inspect", Image) is null, $"the image {Image} is missing: run eng/base-images.sh");

        // Testcontainers asks for a newer protocol than Docker 20.10 speaks, unless told.
        if (Version.Parse(apiVersion!) < new Version(1, 44))
            Environment.SetEnvironmentVariable("DOCKER_API_VERSION", apiVersion);
        // The reaper is an image of its own, which a machine without an image registry cannot pull; the fixture disposes.
        TestcontainersSettings.ResourceReaperEnabled = false;
        RedisContainer container = new RedisBuilder(Image).WithImagePullPolicy(PullPolicy.Never).Build();
        await container.StartAsync(cancel);
        return container;
    }

    /// <summary>Output of a docker command, or null when it failed.</summary>
    internal static async Task<string?> DockerAsync(params IEnumerable<string> arguments)
    {
        try
        {
            using Process docker = Process.Start(new ProcessStartInfo("docker", arguments) { RedirectStandardOutput = true, RedirectStandardError = true })!;
            Task<string> errors = docker.StandardError.ReadToEndAsync(TestContext.Current.CancellationToken);
            string output = await docker.StandardOutput.ReadToEndAsync(TestContext.Current.CancellationToken);
            await errors;
            await docker.WaitForExitAsync(TestContext.Current.CancellationToken);
            return docker.ExitCode == 0 ? output.Trim() : null;
        }
        catch (System.ComponentModel.Win32Exception)
        {
            return null;
        }
    }
}
