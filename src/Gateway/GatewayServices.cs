using Eigengate.Gateway.Front;
using Eigengate.Gateway.Routing;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Yarp.ReverseProxy.Configuration;
using Yarp.ReverseProxy.Forwarder;
using Yarp.ReverseProxy.LoadBalancing;
using Yarp.ReverseProxy.Transforms;

namespace Eigengate.Gateway;

/// <summary>The gateway as a part of any ASP.NET Core application: these services and <see cref="GatewayEndpoints"/>.</summary>
public static class GatewayServices
{
    /// <summary>Adds the gateway; it connects to the index when the application starts.</summary>
    /// <exception cref="ArgumentException">An option is out of range.</exception>
    public static IServiceCollection AddEigengateGateway(this IServiceCollection services, GatewayOptions options)
    {
        options.Validate();
        services.TryAddSingleton(TimeProvider.System);
        services.AddSingleton(options);
        services.AddSingleton<GatewayIndex>();
        services.AddHostedService(provider => provider.GetRequiredService<GatewayIndex>());
        services.AddSingleton<ApiKeyGuard>();
        services.AddSingleton<Admission>();
        services.AddSingleton<BodyBudget>();
        services.AddSingleton<NodeTraffic>();
        services.AddSingleton<NodeProxyConfig>();
        services.AddSingleton<IProxyConfigProvider>(provider => provider.GetRequiredService<NodeProxyConfig>().Provider);
        services.AddSingleton<IForwarderHttpClientFactory, NodeHttpClientFactory>();
        services.AddSingleton<ILoadBalancingPolicy, LeastInFlightPolicy>();
        services.AddReverseProxy().AddTransforms(transforms =>
        {
            transforms.AddRequestTransform(RoutedRequest.WriteHeadersAsync);
            var time = transforms.Services.GetRequiredService<TimeProvider>();
            transforms.AddResponseTransform(answer => NodeAnswer.InspectAsync(answer, options, time));
        });
        return services;
    }
}
