using System.Reflection;
using Eigengate.Gateway.Front;
using Eigengate.OpenAiApi;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;

namespace Eigengate.Gateway.Api;

/// <summary>Health and info (§12.4).</summary>
internal static class OperationalEndpoints
{
    private static readonly VersionDocument Version = new(
        typeof(OperationalEndpoints).Assembly.GetCustomAttribute<AssemblyInformationalVersionAttribute>()!.InformationalVersion.Split('+')[0]);

    private static readonly byte[] OpenApi = ReadOpenApi();

    /// <summary>200 when a live node can serve the base, else 503; no body.</summary>
    public static Task HealthAsync(HttpContext context)
    {
        var services = context.RequestServices;
        var stopping = services.GetRequiredService<IHostApplicationLifetime>().ApplicationStopping.IsCancellationRequested;
        var snapshot = services.GetRequiredService<GatewayIndex>().Snapshot;
        var served = snapshot.Nodes.Any(node => snapshot.Base is null || node.BaseModel == snapshot.Base.Name);
        context.Response.StatusCode = served && !stopping ? StatusCodes.Status200OK : StatusCodes.Status503ServiceUnavailable;
        return Task.CompletedTask;
    }

    public static Task VersionAsync(HttpContext context) =>
        context.Response.WriteAsJsonAsync(Version, ApiJson.Wire.VersionDocument, cancellationToken: context.RequestAborted);

    public static Task LoadAsync(HttpContext context) => context.Response.WriteAsJsonAsync(
        new LoadDocument(context.RequestServices.GetRequiredService<Admission>().InFlight), ApiJson.Wire.LoadDocument, cancellationToken: context.RequestAborted);

    public static async Task OpenApiAsync(HttpContext context)
    {
        context.Response.ContentType = "application/json";
        await context.Response.Body.WriteAsync(OpenApi, context.RequestAborted);
    }

    private static byte[] ReadOpenApi()
    {
        using var stream = typeof(OperationalEndpoints).Assembly.GetManifestResourceStream("openapi.json")!;
        using var copy = new MemoryStream();
        stream.CopyTo(copy);
        return copy.ToArray();
    }
}
