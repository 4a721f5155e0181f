using DotNet.Testcontainers.Configurations;
using DotNet.Testcontainers.Images;
using Eigengate.AdapterCache.Tests;
using Testcontainers.Redis;

namespace Eigengate.Integration.Tests;

/// <summary>Redis 7 through Testcontainers, from the image that eng/base-images.sh makes.</summary>
public sealed class RedisContainerServer : IndexServer
{
    private const string Image = "eigengate-test/redis:7.0";

    private RedisContainer? _container;

    public override async ValueTask InitializeAsync()
    {
        SkipReason = await Docker.WhyNotAsync(Image);
        if (SkipReason is not null)
            return;

        // Testcontainers asks for a newer protocol than Docker 20.10 speaks, unless told.
        string? apiVersion = await Docker.RunAsync("version", "--format", "{{.Server.APIVersion}}");
        if (Version.Parse(apiVersion!) < new Version(1, 44))
            Environment.SetEnvironmentVariable("DOCKER_API_VERSION", apiVersion);
        // The reaper is an image of its own, which a machine without an image registry cannot pull; this fixture disposes.
        TestcontainersSettings.ResourceReaperEnabled = false;
        _container = new RedisBuilder(Image).WithImagePullPolicy(PullPolicy.Never).Build();
        await _container.StartAsync();
        Address = $"{_container.Hostname}:{_container.GetMappedPublicPort(6379)}";
    }

    public override async ValueTask DisposeAsync()
    {
        if (_container is not null)
            await _container.DisposeAsync();
    }
}

public class AdapterIndexOverRedisContainerTests(RedisContainerServer server) : AdapterIndexContract(server), IClassFixture<RedisContainerServer>;
