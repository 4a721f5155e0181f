using Eigengate.Gateway.Api;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;

namespace Eigengate.Gateway;

/// <summary>The gateway as a server of its own.</summary>
public static class GatewayHost
{
    /// <summary>Builds the server; <c>StartAsync</c> connects to the index, then listens.</summary>
    /// <param name="options">Knobs.</param>
    /// <param name="url">Where to listen, e.g. <c>http://0.0.0.0:8000</c>; port 0 takes a free one.</param>
    /// <param name="logging">Replaces the default logging to the console.</param>
    /// <exception cref="ArgumentException">An option is out of range.</exception>
    public static WebApplication Build(GatewayOptions options, string url, Action<ILoggingBuilder>? logging = null)
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.WebHost.UseUrls(url);
        builder.WebHost.ConfigureKestrel(kestrel => kestrel.AddServerHeader = false);
        if (logging is not null)
        {
            builder.Logging.ClearProviders();
            logging(builder.Logging);
        }
        else
        {
            builder.Logging.AddFilter("Microsoft.AspNetCore", LogLevel.Warning);
            builder.Logging.AddFilter("Yarp", LogLevel.Warning);
        }

        builder.Services.AddCors(cors => cors.AddDefaultPolicy(any => any.AllowAnyOrigin().AllowAnyHeader().AllowAnyMethod()));
        builder.Services.AddEigengateGateway(options);

        var app = builder.Build();
        app.UseCors();
        app.UseStatusCodePages(UnmatchedRequest.AnswerAsync);
        app.MapEigengateGateway();
        return app;
    }
}
